package server

import (
	"maps"
	"time"

	dc "go.temporal.io/server/common/dynamicconfig"
)

// dynamicConfig is what the server is told to do otherwise than by default.
func dynamicConfig(stock bool, blobLimit int) dc.StaticClient {
	c := behaviour()
	if !stock {
		maps.Copy(c, limits())
	}
	if blobLimit > 0 {
		c[dc.BlobSizeLimitError.Key()], c[dc.BlobSizeLimitWarn.Key()] = blobLimit, blobLimit
	}
	return c
}

// behaviour holds what does not depend on how much load there is.
func behaviour() dc.StaticClient {
	return dc.StaticClient{
		// Nobody is asked whether there is a newer server.
		dc.EnableServerVersionCheck.Key(): false,
		// A tenant's million messages must not keep another's ten waiting.
		dc.MatchingEnableFairness.Key(): true,
		// Search attributes count at once after they are added.
		dc.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dc.NamespaceCacheRefreshInterval.Key():           time.Second,
		// A cancel reaches a running attempt without a heartbeat.
		dc.WorkerCommandsEnabled.Key():             true,
		dc.EnableCancelActivityWorkerCommand.Key(): true,
		// A worker that drains gets nothing more by polls that were under way, and would be
		// given up with it: the server ends them before it goes.
		dc.EnableCancelWorkerPollsOnShutdown.Key(): true,
		// A workflow can be deleted once its end is known to have been dealt with: not
		// half a minute and several tries later.
		dc.TransferProcessorUpdateAckInterval.Key():   time.Second,
		dc.VisibilityProcessorUpdateAckInterval.Key(): time.Second,
	}
}

// limits holds what guards a shared cluster and only slows one process down.
func limits() dc.StaticClient {
	const plenty = 100_000
	return dc.StaticClient{
		dc.FrontendRPS.Key():                                         plenty,
		dc.FrontendMaxNamespaceRPSPerInstance.Key():                  plenty,
		dc.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():        100,
		dc.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(): 10_000,
		dc.HistoryRPS.Key():                                          plenty,
		dc.MatchingRPS.Key():                                         plenty,
		dc.FrontendPersistenceMaxQPS.Key():                           plenty,
		dc.HistoryPersistenceMaxQPS.Key():                            plenty,
		dc.MatchingPersistenceMaxQPS.Key():                           plenty,
		// One partition makes rate limits, priority and fairness exact.
		dc.MatchingNumTaskqueueReadPartitions.Key():  1,
		dc.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// A batch has 100 attempts under way; all may end during one workflow task.
		dc.MaximumBufferedEventsBatch.Key():    2000,
		dc.TransferProcessorMaxPollRPS.Key():   200,
		dc.TimerProcessorMaxPollRPS.Key():      200,
		dc.VisibilityProcessorMaxPollRPS.Key(): 200,
		// The default would keep 128,000 workflows' states in memory.
		dc.HistoryCacheHostLevelMaxSize.Key(): 8096,
	}
}
