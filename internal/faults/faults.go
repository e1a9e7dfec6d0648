// Package faults holds tests only: real replicas over a real database and a
// real Redis, with something broken between or under them. Each test says what
// a client sees meanwhile, and that nothing wrong is left behind.
//
//   - table_test.go: each fault of docs/operations.md alone
//   - enemy_test.go: what was revoked through one replica is never allowed by another
//   - kill_test.go: a replica is killed while it writes
//   - soak_test.go: a cluster of databases that loses nodes, for hours
//
// site_test.go and line_test.go start what is tested and break it.
package faults
