package starter

import "volley/internal/message"

// reported takes in what reports say of messages. Of one whose report was awaited
// the story says that it is sent as soon as its provider has taken it; a later
// attempt shows that it went on.
func (st *story) reported(reports []message.Report) {
	for _, p := range reports {
		p = p.Bounded()
		key, index, ok := message.ParseID(p.ID)
		i, there := st.place(index)
		if !ok || !there || key != st.key {
			continue
		}
		rec := &st.recs[i]
		what, hop := rec.Hear(&p, st.batch.Way(i))
		switch what {
		case message.HeardEnd:
			rec.Keep(&p, hop)
			st.conclude(i)
		case message.HeardEarly:
			rec.Keep(&p, hop)
			if rec.Doubt > 0 && rec.Settles() {
				st.conclude(i)
			}
		}
	}
}

// conclude ends a message as the report says that is kept of it.
func (st *story) conclude(i int) {
	rec := &st.recs[i]
	k := rec.Kept
	rec.Concludes(k, st.at)
	code, detail := k.Ending()
	st.finish(i, k.State, code, detail)
}

// arrived ends a message that was delivered whatever is known of its last attempt.
func (st *story) arrived(i int) bool {
	rec := &st.recs[i]
	if rec.Kept == nil || rec.Kept.State != message.Delivered {
		rec.Kept = nil
		return false
	}
	st.conclude(i)
	return true
}
