package dialect

import "io"

// volleyFile is a request in JSON lines or CSV whose header has been read.
type volleyFile struct {
	batch *volleyBatch
	// read decodes a chunk of what stands behind the header. Several goroutines
	// may call it.
	read func(*chunk)
	// quoted means that a line end inside of quotes is none, and separator is what
	// then stands between cells.
	quoted    bool
	separator byte
	// used is how many bytes the header has, and line the number of the first line
	// behind it.
	used, line int
}

func (f *volleyFile) splitter(rest io.Reader) *splitter {
	return &splitter{r: rest, quoted: f.quoted, separator: f.separator, line: f.line, size: chunkSize, most: maxLine}
}

func (f *volleyFile) stream(chunks chunks, o Options) *Stream {
	s := &Stream{chunks: chunks, batch: f.batch, options: o, problems: f.batch.whole.problems}
	if len(s.problems) == 0 {
		// A copy, since the caller may change it while messages are decoded.
		header := *f.batch.Batch
		s.header = &header
	}
	return s
}
