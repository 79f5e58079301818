package server

import (
	"context"
	"errors"
	"iter"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// MaxList is how many workflows a list asks for at once, at most.
const MaxList = 500

// Runs lists what visibility finds, page by page.
func (s *Server) Runs(ctx context.Context, query string) iter.Seq2[*workflowpb.WorkflowExecutionInfo, error] {
	return func(yield func(*workflowpb.WorkflowExecutionInfo, error) bool) {
		var token []byte
		for {
			lctx, cancel := context.WithTimeout(ctx, s.Wait)
			res, err := s.Client.ListWorkflow(lctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: MaxList, NextPageToken: token, Query: query})
			cancel()
			if err != nil {
				yield(nil, err)
				return
			}
			for _, info := range res.GetExecutions() {
				if !yield(info, nil) {
					return
				}
			}
			if token = res.GetNextPageToken(); len(token) == 0 {
				return
			}
		}
	}
}

// Quote writes a string for a visibility query, in which quotes are doubled and
// a backslash escapes.
func Quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}

// Remove deletes a workflow's run, the latest when runID is empty. One that is not
// there is no error.
func (s *Server) Remove(ctx context.Context, workflowID, runID string) error {
	_, err := s.Client.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: s.Namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: workflowID, RunId: runID},
	})
	if IsNotFound(err) {
		return nil
	}
	return err
}

// IsNotFound reports that Temporal does not have the workflow, or that it has ended.
func IsNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}
