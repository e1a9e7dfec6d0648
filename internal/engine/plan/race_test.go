//go:build race

package plan_test

// raced: the race detector makes everything ten times slower, and pools forget.
const raced = true
