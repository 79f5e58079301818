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

// inTurn reads and decodes a chunk when it is asked for one.
type inTurn struct {
	cutter *cutter
	read   func(*chunk)
	chunk  chunk
}

func (t *inTurn) next() (*chunk, error) {
	if !t.cutter.cut(&t.chunk) {
		return nil, t.cutter.err
	}
	t.chunk.decode(t.read)
	return &t.chunk, nil
}

func (t *inTurn) close() {}

// ahead reads and decodes chunks in the background: one goroutine reads, others
// decode, and the order is kept.
type ahead struct {
	cutter *cutter
	// free are chunks to be filled, jobs those to be decoded, and order all that
	// were filled, in their order.
	free, jobs, order chan *chunk
	stop              chan struct{}
	stopped           sync.Once
	last              *chunk
}

func readAhead(c *cutter, read func(*chunk)) *ahead {
	a := &ahead{
		cutter: c,
		free:   make(chan *chunk, chunksAhead),
		jobs:   make(chan *chunk, chunksAhead),
		order:  make(chan *chunk, chunksAhead),
		stop:   make(chan struct{}),
	}
	for range chunksAhead {
		a.free <- &chunk{done: make(chan struct{}, 1)}
	}
	go a.cut()
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

// cut reads until the end. No send waits: the channels have room for every chunk.
func (a *ahead) cut() {
	defer close(a.order)
	defer close(a.jobs)
	for {
		select {
		case <-a.stop:
			return
		case k := <-a.free:
			if !a.cutter.cut(k) {
				return
			}
			a.jobs <- k
			a.order <- k
		}
	}
}

func (a *ahead) next() (*chunk, error) {
	if a.last != nil {
		a.free <- a.last
		a.last = nil
	}
	k, ok := <-a.order
	if !ok {
		return nil, a.cutter.err
	}
	<-k.done
	a.last = k
	return k, nil
}

func (a *ahead) close() { a.stopped.Do(func() { close(a.stop) }) }
