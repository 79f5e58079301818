package dialect_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

// endless gives a header and then the same rows again and again.
type endless struct {
	header, rows []byte
	left, at     int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.header) > 0 {
		n := copy(p, e.header)
		e.header = e.header[n:]
		return n, nil
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.rows[e.at:])
	if e.at += n; e.at == len(e.rows) {
		e.at, e.left = 0, e.left-1
	}
	return n, nil
}

func newEndless(format string, rows int) (*endless, int) {
	const each = 1_000
	e := &endless{left: rows / each}
	var b bytes.Buffer
	for i := range each {
		if strings.HasPrefix(format, "csv") {
			e.header = []byte("to,reference,name,code,city,product,note\n")
			fmt.Fprintf(&b, "+1555%07d,order-2026-%08d,Ann-Kathrin,%06d,Amsterdam,Blue garden chair,please ring at the back door\n", i, i, i)
		} else {
			e.header = []byte(`{"account":"hook","text":"Hi ${name}: ${code}"}` + "\n")
			fmt.Fprintf(&b, `{"to":"+1555%07d","reference":"order-2026-%08d","params":{"name":"Ann-Kathrin","code":"%06d","city":"Amsterdam"}}`+"\n", i, i, i)
		}
	}
	e.rows = b.Bytes()
	switch format {
	case "csv with CR":
		e.header, e.rows = bytes.ReplaceAll(e.header, []byte("\n"), []byte("\r")), bytes.ReplaceAll(e.rows, []byte("\n"), []byte("\r"))
	case "csv with CRLF":
		e.header, e.rows = bytes.ReplaceAll(e.header, []byte("\n"), []byte("\r\n")), bytes.ReplaceAll(e.rows, []byte("\n"), []byte("\r\n"))
	}
	return e, len(e.header) + e.left*len(e.rows)
}

// Not parallel: other tests would count.
func TestAStreamNeedsLittleMemory(t *testing.T) { //nolint:paralleltest // see above
	for _, format := range []string{"jsonl", "csv", "csv with CR"} {
		in, _ := newEndless(format, 300_000)
		before := heap()
		s, err := dialect.Open(volley(t), in, 1, dialect.Options{Now: accepted, Text: "Hi ${name}: ${code}"})
		require.NoError(t, err)
		var m message.Message
		var most uint64
		for s.Next(&m) {
			if s.Count()%50_000 == 0 {
				most = max(most, heap())
			}
		}
		require.Equal(t, 300_000, s.Count())
		require.Less(t, most, before+(12<<20), "%s: from %d to %d KiB", format, before>>10, most>>10)
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func BenchmarkStream(b *testing.B) {
	const rows = 200_000
	for _, format := range []string{"jsonl", "csv", "csv with CRLF"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			var m message.Message
			for b.Loop() {
				in, size := newEndless(format, rows)
				b.SetBytes(int64(size))
				s, err := dialect.Open(volley(b), in, 1, dialect.Options{Now: accepted, Text: "Hi ${name}: ${code}"})
				require.NoError(b, err)
				for s.Next(&m) {
					if len(m.Problems) > 0 {
						b.Fatal(m.Problems)
					}
				}
				require.NoError(b, s.Err())
				require.Equal(b, rows, s.Count())
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
