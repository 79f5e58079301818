package coordinator

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// Times of the activity that closes out a segment.
const (
	// closeOutToClose bounds one try. A worker replays the segment's history for it.
	closeOutToClose = 2 * time.Minute
	// closeOutPatience is how long it is tried while no worker can.
	closeOutPatience = 24 * time.Hour
)

// codeLost is the code of messages of which nobody can tell whether they left.
const codeLost = "lost"

// closeOut finds out what became of a segment whose workflow was ended by others, and has
// its ledger written. The error says that nobody can tell.
func (c *coordinator) closeOut(ctx workflow.Context, p *segment) (contract.SegmentResult, error) {
	p.state = message.SegmentRetrying
	c.leaveWindow(p) // the next one may begin meanwhile
	c.Wake()
	rest := message.UnrunOutcome{State: message.Failed, Code: contract.CodeSegmentLost, Detail: contract.DetailSegmentLost}
	if c.Canceled {
		rest = message.UnrunOutcome{State: message.Canceled, Code: "canceled", Detail: c.Reason}
	}
	in := contract.CloseOutInput{
		V: message.Version, ID: c.batch.ID, Tenant: c.batch.Tenant, Dir: c.in.Dir, Number: p.number, Rest: rest,
	}
	ctx = workflow.WithActivityOptions(ctx, patientOptions(closeOutToClose, closeOutPatience, "close out what others ended"))
	var res contract.SegmentResult
	err := workflow.ExecuteActivity(ctx, contract.CloseOutName, in).Get(ctx, &res)
	return res, err
}
