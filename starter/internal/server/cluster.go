package server

import (
	"context"

	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"
)

// Cluster is the id of the Temporal cluster, which is asked for until it has told it
// once; empty is that it does not tell.
func (s *Server) Cluster(ctx context.Context) string {
	if id := s.cluster.Load(); id != nil {
		return *id
	}
	cctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	res, err := s.Client.WorkflowService().GetClusterInfo(cctx, &workflowservice.GetClusterInfoRequest{})
	if err != nil {
		s.Log.Debug("the Temporal cluster does not tell its id", zap.Error(err))
		return ""
	}
	id := res.GetClusterId()
	s.cluster.Store(&id)
	return id
}
