//go:build race

package engine_test

// raced: the race detector makes pools forget things, so that nothing can be
// said about allocations.
const raced = true
