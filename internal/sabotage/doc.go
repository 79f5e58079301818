// Package sabotage breaks promises on purpose, in builds with the tag sabotage alone, so
// that `make sabotage` can show that a chaos run sees it. In every other build Active is
// constantly false, and the compiler leaves out what depends on it.
package sabotage
