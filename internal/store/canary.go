package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"volley/internal/encryption"
	"volley/internal/message"
)

// canary is a value of no meaning, sealed with the key that sealed when it was written. A
// process that cannot open it could not open the objects, and a process without a keyset
// would write in clear what others seal.
type canary struct {
	Key    uint32 `json:"key"`
	Sealed []byte `json:"sealed"`
}

const canaryText = "volley"

// Unlock checks that this process can open what its namespace seals in the store. Where
// nothing was sealed yet, or the primary key has changed, it leaves word of the primary key
// in the marker, for the processes that come after. A store without a marker, or that is
// away, says nothing: that is no error.
//
// The error is an ErrSealed where the key is missing, and an ErrDamaged where a key of that
// id is another one.
func (s *Store) Unlock(ctx context.Context) error {
	m, there, err := s.marker(ctx)
	if err != nil || !there {
		return err
	}
	return s.unlock(ctx, m)
}

func (s *Store) unlock(ctx context.Context, m marker) error {
	c, sealed := m.Canaries[s.namespace]
	if sealed {
		if err := s.openCanary(c); err != nil {
			return err
		}
	}
	if s.keyset.IsOff() || sealed && !s.isOld(c.Key) {
		return nil
	}
	return s.writeCanary(ctx, m)
}

// isOld reports whether a key stands before the primary in the keyset, to which new keys
// are appended. So no process puts an older key in a newer one's place.
func (s *Store) isOld(key uint32) bool {
	keys := s.keyset.Keys()
	at := func(id uint32) int {
		return slices.IndexFunc(keys, func(k encryption.Key) bool { return k.ID == id })
	}
	return at(key) < at(s.keyset.Primary())
}

func (s *Store) openCanary(c canary) error {
	if err := s.openable(markerName, sealHead{key: c.Key, namespace: s.namespace}); err != nil {
		return err
	}
	text, err := s.keyset.Open(c.Sealed, s.canaryAssociated())
	if err != nil || string(text) != canaryText {
		return damaged(markerName, fmt.Sprintf("what key %d sealed does not open: the keyset has another key of that id", c.Key))
	}
	return nil
}

// writeCanary adds that of this namespace to the marker. Where two namespaces do so at the
// same time one of them is lost, until a process of its namespace starts.
func (s *Store) writeCanary(ctx context.Context, m marker) error {
	sealed, err := s.keyset.Seal([]byte(canaryText), s.canaryAssociated())
	if err != nil {
		return named(markerName, err)
	}
	all := map[string]canary{}
	maps.Copy(all, m.Canaries)
	all[s.namespace] = canary{Key: s.keyset.Primary(), Sealed: sealed}
	m.Canaries = all
	return s.writeMarker(ctx, m)
}

func (s *Store) canaryAssociated() []byte {
	return append(encryption.Associated(s.namespace, ""), markerName...)
}

// marker reads the marker. One that is no JSON counts as one without canaries.
func (s *Store) marker(ctx context.Context) (m marker, there bool, err error) {
	data, _, err := s.read(ctx, markerName, 0, -1)
	switch {
	case errors.Is(err, ErrNotFound):
		return m, false, nil
	case err != nil:
		return m, false, err
	}
	if json.Unmarshal(data, &m) != nil {
		return marker{}, true, nil
	}
	return m, true, nil
}

func (s *Store) writeMarker(ctx context.Context, m marker) error {
	m.V = message.Version
	data, err := json.Marshal(m)
	if err != nil {
		return named(markerName, err)
	}
	return s.write(ctx, markerName, data, true)
}
