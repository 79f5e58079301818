package dialect

import "sync"

const (
	// decoders is how many goroutines decode chunks in the background.
	decoders = 2
	// chunksAhead is how many chunks there are, which bounds the memory: one is
	// read, two are decoded, one is used, and two wait.
	chunksAhead = 6
)

// chunks are the decoded chunks of a file in their order.
type chunks interface {
	// next returns the next chunk, and nil behind the last one and where reading
	// failed, with the error. The chunk before is then used again.
	next() (*chunk, error)
	// close ends what goes on in the background.
	close()
}

// sequentialReader reads and decodes a chunk when it is asked for one.
type sequentialReader struct {
	splitter *splitter
	read     func(*chunk)
	chunk    chunk
}

func (t *sequentialReader) next() (*chunk, error) {
	if !t.splitter.split(&t.chunk) {
		return nil, t.splitter.err
	}
	t.chunk.decode(t.read)
	return &t.chunk, nil
}

func (t *sequentialReader) close() {}

// prefetchReader reads and decodes chunks in the background: one goroutine reads, others
// decode, and the order is kept.
type prefetchReader struct {
	splitter *splitter
	// free are chunks to be filled, jobs those to be decoded, and order all that
	// were filled, in their order.
	free, jobs, order chan *chunk
	stop              chan struct{}
	stopped           sync.Once
	last              *chunk
}

func newPrefetchReader(c *splitter, read func(*chunk)) *prefetchReader {
	a := &prefetchReader{
		splitter: c,
		free:     make(chan *chunk, chunksAhead),
		jobs:     make(chan *chunk, chunksAhead),
		order:    make(chan *chunk, chunksAhead),
		stop:     make(chan struct{}),
	}
	for range chunksAhead {
		a.free <- &chunk{done: make(chan struct{}, 1)}
	}
	go a.split()
	for range decoders {
		go func() {
			for k := range a.jobs {
				k.decode(read)
				k.done <- struct{}{}
			}
		}()
	}
	return a
}

// split reads until the end. No send waits: the channels have room for every chunk.
func (a *prefetchReader) split() {
	defer close(a.order)
	defer close(a.jobs)
	for {
		select {
		case <-a.stop:
			return
		case k := <-a.free:
			if !a.splitter.split(k) {
				return
			}
			a.jobs <- k
			a.order <- k
		}
	}
}

func (a *prefetchReader) next() (*chunk, error) {
	if a.last != nil {
		a.free <- a.last
		a.last = nil
	}
	k, ok := <-a.order
	if !ok {
		return nil, a.splitter.err
	}
	<-k.done
	a.last = k
	return k, nil
}

func (a *prefetchReader) close() { a.stopped.Do(func() { close(a.stop) }) }
