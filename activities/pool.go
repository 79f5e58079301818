package activities

import "sync"

// pool runs functions beside each other, on goroutines that are used again: a stack that
// has grown for one request serves the next one.
type pool struct {
	jobs chan func()
	wait *sync.WaitGroup
}

func newPool() pool { return pool{jobs: make(chan func()), wait: &sync.WaitGroup{}} }

// Go runs f at once, on a goroutine that is idle or on a new one.
func (p pool) Go(f func()) {
	select {
	case p.jobs <- f:
	default:
		p.wait.Go(func() {
			f()
			for f := range p.jobs {
				f()
			}
		})
	}
}

// Wait waits for all of them. Nothing may be run after it.
func (p pool) Wait() {
	close(p.jobs)
	p.wait.Wait()
}
