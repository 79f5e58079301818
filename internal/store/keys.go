package store

import (
	"context"
	"errors"

	"gocloud.dev/blob"
)

// KeyUse counts the objects of one namespace that a key sealed.
type KeyUse struct {
	Objects int
	// Folder is one of the folders that they are in; empty where it is the marker alone.
	Folder string
}

// KeyUses says which keys sealed the objects of this namespace, the marker's canary among
// them, and how many were written in clear, of any namespace. It reads the head of every
// object of the store, and needs no key. What is written meanwhile may be left out.
func (s *Store) KeyUses(ctx context.Context) (uses map[uint32]KeyUse, clear int, err error) {
	if err := s.Present(ctx); err != nil {
		return nil, 0, err
	}
	uses = map[uint32]KeyUse{}
	m, _, err := s.marker(ctx)
	if c, ok := m.Canaries[s.namespace]; ok {
		uses[c.Key] = KeyUse{Objects: 1}
	}
	if err != nil {
		return nil, 0, err
	}
	for f, err := range s.Folders(ctx) {
		if err != nil {
			return nil, 0, err
		}
		n, err := s.folderKeys(ctx, f.Dir, uses)
		if clear += n; err != nil {
			return nil, 0, err
		}
	}
	return uses, clear, nil
}

// folderKeys adds the objects of a folder to uses.
func (s *Store) folderKeys(ctx context.Context, dir string, uses map[uint32]KeyUse) (clear int, err error) {
	var keys []string
	err = s.list(ctx, dir+"/", func(o *blob.ListObject) error {
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return clear, inWaves(ctx, len(keys), func(i int) ([]byte, error) {
		data, _, err := s.read(ctx, keys[i], 0, sealPeek)
		return data, err
	}, func(i int, data []byte, err error) error {
		switch {
		case errors.Is(err, ErrNotFound): // removed meanwhile
			return nil
		case err != nil:
			return err
		case !isSealed(data):
			clear++
			return nil
		}
		h, err := parseSealHead(keys[i], data)
		if err == nil && h.namespace == s.namespace {
			use := uses[h.key]
			uses[h.key] = KeyUse{Objects: use.Objects + 1, Folder: dir}
		}
		if errors.Is(err, ErrDamaged) {
			return nil // no key opens it
		}
		return err
	})
}
