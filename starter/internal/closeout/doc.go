// Package closeout finds out what became of each message of a run that Temporal ended.
//
// Two things of a closed run survive it. Its queries are answered by a worker that
// replays it, and say what is known of each message. Temporal's own description says
// which activities were under way: one that a worker had taken may have sent, one that
// waited has not. The query alone is wrong about those: the replay goes one step further
// than the run did, and shows attempts that the server never heard of.
//
// Nothing here guesses: a run that no worker can replay is an error.
package closeout
