package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"volley/internal/message"
)

// An index object says where the message of each index lies, in blocks of one
// size: for each message its segment and its position, of two bytes each, and at
// the end of a block the checksum of its number and the rest. Batches in the order
// of their indexes have none.
const (
	indexBlock      = 4096
	indexBlockBytes = 4*indexBlock + 4
)

// packSpot holds a spot in four bytes; 0 is none.
func packSpot(segment, pos int) uint32 { return uint32(segment)<<16 | uint32(pos) }

func unpackSpot(n uint32) message.Location {
	return message.Location{Segment: int(n >> 16), Pos: int(n & 0xffff)}
}

// packIndex packs the object; cuts are where its blocks end, the last one aside.
func packIndex(spots []uint32) (out []byte, cuts []int) {
	for number := 0; number*indexBlock < len(spots); number++ {
		from := len(out)
		if number > 0 {
			cuts = append(cuts, from)
		}
		for _, spot := range spots[number*indexBlock : min((number+1)*indexBlock, len(spots))] {
			out = binary.LittleEndian.AppendUint32(out, spot)
		}
		out = binary.LittleEndian.AppendUint32(out, indexSum(number, out[from:]))
	}
	return out, cuts
}

// writeIndex writes the object, and tells how many bytes sealing added to each block.
func (s *Store) writeIndex(ctx context.Context, dir string, spots []uint32) (more int, err error) {
	key := dir + "/" + indexName
	data, cuts := packIndex(spots)
	sealed, err := s.seal(key, data, cuts...)
	if err != nil {
		return 0, err
	}
	if !s.keyset.IsOff() {
		head := sealHead{namespace: s.namespace}
		more = (len(sealed) - head.size() - len(data)) / (len(cuts) + 1)
	}
	return more, s.write(ctx, key, sealed, false)
}

func indexSum(number int, block []byte) uint32 {
	sum := crc32.Checksum(binary.LittleEndian.AppendUint32(nil, uint32(number)), castagnoli)
	return crc32.Update(sum, castagnoli, block)
}

// Locate finds messages by their indexes, in the order of indexes. The spot of an
// index that the batch does not have has Segment 0.
func (s *Store) Locate(ctx context.Context, dir string, indexes []int) ([]message.Location, error) {
	m, err := s.Manifest(ctx, dir)
	if err != nil {
		return nil, err
	}
	at := inOrder(m)
	if !m.InOrder {
		if at, err = s.indexed(ctx, dir, m, indexes); err != nil {
			return nil, err
		}
	}
	out := make([]message.Location, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= m.Total {
			continue
		}
		if out[i], err = at(index); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// inOrder finds messages by what the manifest counts.
func inOrder(m *message.Manifest) func(index int) (message.Location, error) {
	ends, total := make([]int, len(m.Segments)), 0
	for i, g := range m.Segments {
		total += g.Count
		ends[i] = total
	}
	return func(index int) (message.Location, error) {
		i, _ := slices.BinarySearch(ends, index+1)
		return message.Location{Segment: i + 1, Pos: index - (ends[i] - m.Segments[i].Count)}, nil
	}
}

// indexed finds messages in the index object, whose blocks for those indexes it reads
// side by side.
func (s *Store) indexed(ctx context.Context, dir string, m *message.Manifest, indexes []int) (func(index int) (message.Location, error), error) {
	blocks := map[int][]byte{}
	for _, index := range indexes {
		if index >= 0 && index < m.Total {
			blocks[index/indexBlock] = nil
		}
	}
	numbers := slices.Sorted(maps.Keys(blocks))
	err := inWaves(ctx, len(numbers),
		func(i int) ([]byte, error) { return s.block(ctx, dir, m, numbers[i]) },
		func(i int, block []byte, err error) error {
			blocks[numbers[i]] = block
			return err
		})
	return func(index int) (message.Location, error) {
		spot := unpackSpot(binary.LittleEndian.Uint32(blocks[index/indexBlock][4*(index%indexBlock):]))
		if spot.Segment < 1 || spot.Segment > len(m.Segments) || spot.Pos >= m.Segments[spot.Segment-1].Count {
			return message.Location{}, damaged(dir+"/"+indexName, fmt.Sprintf("message %d has no place", index))
		}
		return spot, nil
	}, err
}

// block reads one block of the index object.
func (s *Store) block(ctx context.Context, dir string, m *message.Manifest, number int) ([]byte, error) {
	key := dir + "/" + indexName
	return cached(ctx, s.cache, fmt.Sprintf("%s#%d", key, number), func(ctx context.Context) ([]byte, int64, error) {
		n := min(m.Total-number*indexBlock, indexBlock)
		data, err := s.readBlock(ctx, key, m, number, 4*n+4)
		if err != nil {
			return nil, 0, s.missing(ctx, err)
		}
		if len(data) != 4*n+4 || binary.LittleEndian.Uint32(data[4*n:]) != indexSum(number, data[:4*n]) {
			return nil, 0, damaged(key, fmt.Sprintf("the checksum of block %d is wrong", number))
		}
		return data[:4*n], int64(len(data)), nil
	})
}

// readBlock reads the n bytes of one block of the index object. Where it is sealed its place
// follows from the namespace, which is that of the manifest.
func (s *Store) readBlock(ctx context.Context, key string, m *message.Manifest, number, n int) ([]byte, error) {
	if m.IndexSeal == 0 {
		data, _, err := s.read(ctx, key, int64(number)*indexBlockBytes, int64(n))
		return data, err
	}
	head := sealHead{namespace: s.namespace}
	data, size, err := s.read(ctx, key, int64(head.size())+int64(number)*int64(indexBlockBytes+m.IndexSeal), int64(n+m.IndexSeal))
	if err != nil {
		return nil, err
	}
	block, behind, err := cutBlock(key, data)
	if err != nil || len(behind) > 0 {
		return nil, damaged(key, fmt.Sprintf("block %d is not where it should be, of %d bytes", number, size))
	}
	return s.openBlock(key, block, number, (number+1)*indexBlock >= m.Total)
}
