package large

import (
	"context"

	"volley/internal/message"
)

// States tells how messages stand, by id; those that the batch does not have are left out.
func (v *View) States(ctx context.Context, ids []string) (map[string]message.State, error) {
	indexes := make([]int, len(ids))
	for i, id := range ids {
		_, indexes[i], _ = message.ParseID(id)
	}
	spots, err := v.locate(ctx, "batch "+v.Ref.ID, indexes...)
	if err != nil {
		return nil, err
	}
	states := make(map[string]message.State, len(ids))
	read := map[int]*SegmentRows{}
	for i, at := range spots {
		if at.Segment == 0 {
			continue
		}
		if read[at.Segment] == nil {
			if read[at.Segment], err = v.Rows(ctx, at.Segment, Filter{}); err != nil {
				return nil, err
			}
		}
		if rows := read[at.Segment].List; at.Pos < len(rows) {
			states[ids[i]] = rows[at.Pos].State
		}
	}
	return states, nil
}
