package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

// maxSinchList is the most batches of one answer, since Sinch's list has no pages.
const maxSinchList = 1000

// sinchGet shows a batch. It may be one of another project of the tenant.
func (g *Gateway) sinchGet(w http.ResponseWriter, r tenantRequest) error {
	if _, err := g.sinchAccounts(r.tenant, r.PathValue("project_id")); err != nil {
		return err
	}
	st, err := g.sinchBatch(r, r.PathValue("batch_id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, dialect.EncodeSinchBatch(st))
	return nil
}

// sinchBatch is a batch that came in Sinch's format; one of another is not there.
func (g *Gateway) sinchBatch(r tenantRequest, id string) (message.Status, error) {
	missing := notFound("the project has no batch " + strconv.Quote(id))
	if !starter.ValidID(id) {
		return message.Status{}, missing
	}
	st, err := g.status.get(r.Context(), starter.Ref{Tenant: r.tenant.Tenant, ID: id})
	if errors.Is(err, starter.ErrNotFound) || err == nil && st.Dialect != "sinch" {
		return message.Status{}, missing
	}
	return st, err
}

func (g *Gateway) sinchList(w http.ResponseWriter, r tenantRequest) error {
	if _, err := g.sinchAccounts(r.tenant, r.PathValue("project_id")); err != nil {
		return err
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fail(http.StatusBadRequest, codeInvalid, "the query string cannot be read")
	}
	s := sinchSelector{MetadataKey: q.Get("metadataKey"), MetadataValue: q.Get("metadataValue")}
	var problems message.Problems
	for _, name := range []string{"metadataKey", "metadataValue"} {
		if !q.Has(name) || name == "metadataKey" && s.MetadataKey == "" {
			problems.Add(message.WholeBatch, name, message.CodeRequired, "is required")
		}
	}
	if len(problems) > 0 {
		return refused(errors.New("batches are listed by a key and a value of their metadata"), problems)
	}
	found, err := g.sinchFind(r, s)
	if err != nil {
		return err
	}
	all := []dialect.SinchBatch{}
	for _, st := range found {
		all = append(all, dialect.EncodeSinchBatch(st))
	}
	writeJSON(w, http.StatusOK, all)
	return nil
}

// sinchSelector names one batch by its id, or those with a value in their metadata.
type sinchSelector struct {
	BatchID       string
	MetadataKey   string
	MetadataValue string
}

// byID reports whether a selector names one batch, whose id BatchID then is. It may be
// given as the metadata that every batch has.
func (s *sinchSelector) byID() bool {
	if s.BatchID == "" && s.MetadataKey == dialect.SinchBatchID {
		s.BatchID = s.MetadataValue
	}
	return s.BatchID != ""
}

// sinchFind finds the batches that a selector means; none is no error.
func (g *Gateway) sinchFind(r tenantRequest, s sinchSelector) ([]message.Status, error) {
	if s.byID() {
		st, err := g.sinchBatch(r, s.BatchID)
		var f *failure
		if errors.As(err, &f) && f.status == http.StatusNotFound {
			return nil, nil
		}
		return []message.Status{st}, err
	}
	q := starter.ListQuery{Tenant: r.tenant.Tenant, Dialect: "sinch", Meta: s.MetadataKey + "=" + s.MetadataValue, Limit: maxList}
	var all []message.Status
	for {
		page, err := g.o.Batches.List(r.Context(), q)
		if err != nil {
			return nil, err
		}
		for _, st := range page.Batches {
			ok, err := g.sinchMatches(r, s, st)
			if err != nil {
				return nil, err
			}
			if ok && len(all) < maxSinchList {
				all = append(all, st)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" || len(all) == maxSinchList {
			return all, nil
		}
	}
}

// sinchMatches drops batches that the index takes for the ones asked for: it knows the
// beginning of a long value, and not where a key ends. Where the list does not have the
// value, as of an open batch with much metadata, the batch as it was accepted does.
func (g *Gateway) sinchMatches(r tenantRequest, s sinchSelector, st message.Status) (bool, error) {
	value, ok := member(st.Metadata, s.MetadataKey)
	if !ok {
		b, err := g.o.Batches.Accepted(r.Context(), starter.Ref{Tenant: r.tenant.Tenant, ID: st.ID})
		if errors.Is(err, starter.ErrNotFound) || g.leavesOut(r, st.ID, err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if value, ok = member(b.Metadata, s.MetadataKey); !ok {
			return false, nil
		}
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text == s.MetadataValue, nil
	}
	var compact bytes.Buffer
	return json.Compact(&compact, value) == nil && compact.String() == s.MetadataValue, nil // a number, a truth
}

// member is a value of an object.
func member(object json.RawMessage, key string) (json.RawMessage, bool) {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(object, &all) // what is none has no members
	v, ok := all[key]
	return v, ok
}

// sinchCancel cancels what has not begun of the batches that are named. It answers 200
// whatever became of that, as Sinch does; only a request that names nothing, and a
// server that cannot take it, are told.
func (g *Gateway) sinchCancel(w http.ResponseWriter, r tenantRequest) error {
	if _, err := g.sinchAccounts(r.tenant, r.PathValue("project_id")); err != nil {
		return err
	}
	s, err := readSinchSelector(w, r)
	if err != nil {
		return err
	}
	if s.byID() {
		err = g.sinchCancelOne(r, s.BatchID, g.sinchAccepted)
	} else {
		err = g.sinchCancelAll(r, s)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}

// cancelLook is how long a worker may take to say how a batch stands that is to be
// canceled; the cancel itself waits for one, too.
const cancelLook = 2 * time.Second

// sideBySide is how many batches one request cancels at once.
const sideBySide = 8

// sinchCancelAll cancels the batches with a value in their metadata. One that cannot be
// cancelled keeps none of the others from it, and the answer tells of the first such.
func (g *Gateway) sinchCancelAll(r tenantRequest, s sinchSelector) error {
	found, err := g.sinchFind(r, s)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for _, st := range found {
		if dialect.SinchStatus(st) != dialect.SinchScheduled {
			continue
		}
		group.Go(func() error {
			return g.sinchCancelOne(r, st.ID, func(tenantRequest, starter.Ref) (message.Status, error) {
				if st.NextDueAt != nil && !st.NextDueAt.After(g.o.Now()) {
					st.State = message.BatchRunning
				}
				return st, nil
			})
		})
	}
	return group.Wait()
}

// sinchCancelOne cancels a batch that has not begun. Where no worker can say whether it
// has, otherwise does.
func (g *Gateway) sinchCancelOne(r tenantRequest, id string, otherwise func(tenantRequest, starter.Ref) (message.Status, error)) error {
	if !starter.ValidID(id) {
		return nil // there is none
	}
	ref := starter.Ref{Tenant: r.tenant.Tenant, ID: id}
	done, err := g.controls.enter(r.Context(), ref)
	if err != nil {
		return err
	}
	defer done()
	ctx, stop := context.WithTimeout(r.Context(), cancelLook)
	st, err := g.o.Batches.Status(ctx, ref)
	late := err != nil && ctx.Err() != nil && r.Context().Err() == nil
	stop()
	if late || errors.Is(err, starter.ErrNoWorker) {
		st, err = otherwise(r, ref)
	}
	if err == nil && st.Dialect == "sinch" && dialect.SinchStatus(st) == dialect.SinchScheduled {
		var res message.CancelResult
		res, err = g.o.Batches.Cancel(r.Context(), ref, message.CancelRequest{Reason: "canceled through Sinch's API"})
		g.status.forget(ref)
		if errors.Is(err, starter.ErrNoWorker) && res.Batch != "" {
			return nil // it is recorded
		}
	}
	if errors.Is(err, starter.ErrEnded) || errors.Is(err, starter.ErrNotFound) {
		return nil // too late
	}
	return err
}

// sinchAccepted is how a batch stands by what it was accepted with: before the time
// that it was to be sent at, it has not begun.
func (g *Gateway) sinchAccepted(r tenantRequest, ref starter.Ref) (message.Status, error) {
	b, err := g.o.Batches.Accepted(r.Context(), ref)
	if err != nil {
		return message.Status{}, err
	}
	st := message.Status{ID: ref.ID, Dialect: b.Dialect, State: message.BatchRunning}
	if b.SendAfter > g.o.Now().UnixMilli() {
		st.State = message.BatchScheduled
	}
	return st, nil
}

// readSinchSelector reads what to cancel, from the body or from the query. Sinch names
// the key batch_id; how it writes those of the metadata is not documented, so the ways
// of its other calls are taken.
func readSinchSelector(w http.ResponseWriter, r tenantRequest) (s sinchSelector, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(pace(w, r.Request)), maxControl))
	if err != nil {
		return s, err
	}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return s, fail(http.StatusBadRequest, codeInvalid, "the query string cannot be read")
	}
	if len(bytes.TrimSpace(body)) > 0 {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			return s, fail(http.StatusBadRequest, codeInvalid, "the body is not a JSON object")
		}
		if err := message.CheckControl(body); err != nil {
			return s, controlRefused(err)
		}
		for key, raw := range fields {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = strings.Trim(string(raw), `"`) // a number, a truth
			}
			given.Set(key, text)
		}
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := given.Get(n); v != "" {
				return v
			}
		}
		return ""
	}
	s.BatchID = first("batch_id", "batchId")
	s.MetadataKey, s.MetadataValue = first("metadata_key", "metadataKey"), first("metadata_value", "metadataValue")
	var problems message.Problems
	switch {
	case s.BatchID != "":
	case s.MetadataKey == "":
		problems.Add(message.WholeBatch, "batch_id", message.CodeRequired, "is required where no metadata_key and metadata_value are given")
	case !given.Has("metadata_value") && !given.Has("metadataValue"):
		problems.Add(message.WholeBatch, "metadata_value", message.CodeRequired, "is required beside a metadata_key")
	}
	if len(problems) > 0 {
		return s, refused(errors.New("nothing is named that could be canceled"), problems)
	}
	return s, nil
}
