package starter

import (
	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"

	"volley/activities"
	"volley/internal/message"
)

// grouped takes in that a group was handed over: the first attempt of each of its
// messages.
func (st *story) grouped(event int64, a *historypb.ActivityTaskScheduledEventAttributes) {
	var in activities.GroupInput
	if st.dc.FromPayloads(a.GetInput(), &in) != nil {
		return
	}
	if st.started == 0 {
		st.started = st.at
	}
	group := []int{}
	for _, pos := range in.Positions() {
		i, ok := st.spots[message.Spot{Segment: in.Segment, Pos: pos}]
		if !ok {
			i = -1 // keeps the order of the outcomes
		}
		group = append(group, i)
		if !ok || st.recs[i].State.Taken() || st.recs[i].State == message.Rejected {
			continue
		}
		rec := &st.recs[i]
		rec.Finished, rec.Doubt, rec.Began = 0, 0, st.at
		rec.Attempts++
		rec.HopAttempts++
		st.move(i, message.Sending)
	}
	st.groups[event] = group
}

// groupEnded takes in what a group reported.
func (st *story) groupEnded(group []int, result *commonpb.Payloads) {
	var res activities.GroupResult
	if st.dc.FromPayloads(result, &res) != nil || len(res.Outcomes) != len(group) {
		st.groupLost(group, true, nil)
		return
	}
	for k, i := range group {
		if i >= 0 && st.recs[i].State == message.Sending {
			st.answered(i, res.Outcomes[k])
		}
	}
}

// groupLost takes in that a group did not come to its end. The last heartbeat says
// what is known: nothing from its watermark on has left.
func (st *story) groupLost(group []int, begun bool, why *failurepb.Failure) {
	watermark, outcomes := len(group), activities.Outcomes(nil)
	if late := why.GetTimeoutFailureInfo(); late != nil {
		var p activities.GroupProgress
		if details := late.GetLastHeartbeatDetails(); len(details.GetPayloads()) == 0 {
			watermark = 0
		} else if st.dc.FromPayloads(details, &p) == nil {
			watermark, outcomes = p.Watermark, p.Outcomes
		}
	}
	if !begun {
		watermark = 0
	}
	for k, i := range group {
		switch {
		case i < 0 || st.recs[i].State != message.Sending:
		case k < len(outcomes) && outcomes[k].Kind != "":
			st.answered(i, outcomes[k])
		case k >= watermark:
			st.withdrawn(i)
		default:
			st.doubt(i, "lost", "the worker did not report what became of the attempt")
		}
	}
}
