// Package config reads volley.yaml and the environment that it refers to.
//
// It reports everything that is wrong at once, each problem with its place in
// the file, and refuses unknown keys. Values of secrets are of type Secret,
// which nothing prints. Only the commands use this package: everything else
// gets plain values from them.
package config
