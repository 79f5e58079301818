// Package s3test is an object store for tests that is as far away as one on the
// network: an S3 server in memory, reached over HTTP by the driver that the product
// uses, whose requests take a while. It counts requests, and how many rounds of them
// had to wait for one another, so that tests can say how long something takes without
// looking at a clock.
package s3test
