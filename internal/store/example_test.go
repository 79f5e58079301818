package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"volley/internal/message"
	"volley/internal/store"
)

// A large batch is written message by message and read segment by segment, so that neither
// side has all of it in memory. The manifest is written last, and says what there is.
func ExampleStore() {
	ctx := context.Background()
	s, err := store.Open(ctx, "mem://", store.Options{}) // file:///dir, s3://bucket, gs://bucket, azblob://container
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	header := &message.Batch{
		V: message.Version, ID: "sale", Tenant: "acme", Dialect: "volley", CreatedAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
		Template: message.Template{Body: json.RawMessage(`{"text":"Hi"}`)},
		Hops:     [][]message.Hop{{{Account: "bird-main"}}}, Policies: map[string]message.Policy{"bird-main": {}},
	}
	w, err := s.Create(ctx, header, store.WriteOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 2500 {
		if err := w.Add(ctx, &message.Message{To: fmt.Sprintf("+1555%07d", i)}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if _, err := w.Finish(ctx); err != nil {
		fmt.Println(err)
		return
	}

	manifest, err := s.Manifest(ctx, w.Dir())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(manifest.Batch.ID, manifest.Total, "messages in", len(manifest.Segments), "segments")
	segment, err := s.Segment(ctx, w.Dir(), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	index, last, err := segment.Message(segment.Len() - 1)
	fmt.Println(index, last.To, err)
	// Output:
	// sale 2500 messages in 3 segments
	// 2499 +15550002499 <nil>
}
