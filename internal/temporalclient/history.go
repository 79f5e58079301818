package temporalclient

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
)

// History is the history of a workflow's last run so far, in the JSON that the SDK's
// replayer reads. Its payloads are as the server has them.
func History(ctx context.Context, c client.Client, workflowID string) ([]byte, error) {
	var h historypb.History
	events := c.GetWorkflowHistory(ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, fmt.Errorf("history of %s: %w", workflowID, err)
		}
		h.Events = append(h.Events, e)
	}
	return temporalproto.CustomJSONMarshalOptions{Indent: "  "}.Marshal(&h)
}
