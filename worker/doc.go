// Package worker runs the workers of one process: one for workflows and the store,
// and two for each account, one for its attempts and one for its groups, so that
// every account has queues, a rate and a concurrency of its own. Workers that send
// through the same account find each other and share its rate.
package worker
