package starter

import (
	"context"
	"errors"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
)

// owner says whose batch a folder of the store has.
type owner int

const (
	// ownerUnknown: it was written by one who did not say, or this namespace's cluster
	// does not tell its id.
	ownerUnknown owner = iota
	// ownerSelf: it runs in this namespace, or no batch can come of it any more.
	ownerSelf
	// ownerOther: it runs in another namespace, or in another cluster.
	ownerOther
)

// ownerOf says whose batch a folder has, by its manifest, or by the summary of late
// reports where there is nothing else.
func (s *Starter) ownerOf(ctx context.Context, f store.Folder) (owner, error) {
	var namespace, cluster string
	var err error
	switch {
	case f.Complete:
		var m *message.Manifest
		if m, err = s.o.Store.Manifest(ctx, f.Dir); err == nil {
			namespace, cluster = m.Namespace, m.Cluster
		}
	case f.Reports:
		var r store.Reported
		r, err = s.o.Store.Reported(ctx, f.Dir)
		namespace, cluster = r.Namespace, r.Cluster
	default:
		return ownerSelf, nil
	}
	var sealed *store.SealedError
	if errors.As(err, &sealed) { // it says so much without its key, which may be gone for good
		namespace, err = sealed.Namespace, nil
	}
	here := s.server.Cluster(ctx)
	switch {
	case err != nil && !store.Lost(err): // what is damaged or gone does not say
		return ownerUnknown, server.StoreError(f.Dir, err)
	case namespace != "" && namespace != s.o.Namespace, cluster != "" && here != "" && cluster != here:
		return ownerOther, nil
	case namespace == "" || cluster == "" || here == "":
		return ownerUnknown, nil
	}
	return ownerSelf, nil
}
