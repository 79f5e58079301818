package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

// canceledObjects are the names of a batch's objects of canceled messages.
func canceledObjects(t *testing.T, s *store.Store, dir string) (keys []string) {
	t.Helper()
	list := store.Bucket(s).List(nil)
	for {
		o, err := list.Next(t.Context())
		if err != nil {
			return keys
		}
		if strings.HasPrefix(o.Key, dir+"/canceled/") {
			keys = append(keys, o.Key)
		}
	}
}

func TestCanceledMessagesAreKeptWithTimeAndReason(t *testing.T) {
	t.Parallel()
	files, _ := open(t)
	for name, s := range map[string]*store.Store{"files": files, "memory": inMemory(t)} {
		rounds := 5
		if s == files {
			rounds = 2 // each is on the disk when it returns
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := written(t, s, header(), samples(100))
			none, err := s.Canceled(t.Context(), dir)
			require.NoError(t, err)
			require.Empty(t, none)
			add := func(names ...message.Cancellation) { require.NoError(t, s.AddCanceled(t.Context(), dir, names)) }
			add()
			require.Empty(t, canceledObjects(t, s, dir))
			add(message.Cancellation{Index: 7, At: 30, Reason: "third"}, message.Cancellation{Index: 99, At: 10, Reason: "first"})
			add(message.Cancellation{Index: 7, At: 20, Reason: "earlier"}, message.Cancellation{Index: 99, At: 40, Reason: "later"}, message.Cancellation{Index: 0, At: 20})
			want := message.Cancellations{{Index: 99, At: 10, Reason: "first"}, {Index: 0, At: 20}, {Index: 7, At: 20, Reason: "earlier"}}
			got, err := s.Canceled(t.Context(), dir)
			require.NoError(t, err)
			require.Equal(t, want, got)

			for range rounds * store.MaxCanceled { // merged more than once
				add(message.Cancellation{Index: 50, At: 50, Reason: "merged"})
				require.LessOrEqual(t, len(canceledObjects(t, s, dir)), store.MaxCanceled+1)
			}
			want = append(want, message.Cancellation{Index: 50, At: 50, Reason: "merged"})
			got, err = s.Canceled(t.Context(), dir)
			require.NoError(t, err)
			require.Equal(t, want, got)

			for _, index := range []int{-1, 100} {
				require.ErrorContains(t, s.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 1}, {Index: index}}), "there is no message")
			}
			add(message.Cancellation{Index: 1, At: 60, Reason: strings.Repeat("ä", message.MaxDetail)})
			got, err = s.Canceled(t.Context(), dir)
			require.NoError(t, err)
			require.Len(t, got[len(got)-1].Reason, message.MaxDetail)

			require.NoError(t, s.Delete(t.Context(), dir))
			require.Empty(t, canceledObjects(t, s, dir))
			_, err = s.Canceled(t.Context(), dir)
			require.ErrorIs(t, err, store.ErrNotFound)
			require.ErrorIs(t, s.AddCanceled(t.Context(), dir, want), store.ErrNotFound)
		})
	}
}

// Writers and readers of several processes go on at the same time. What a writer has
// added every reader sees that begins afterwards, and nothing ever goes away again.
func TestWritersAndReadersOfCanceledMessagesAtTheSameTime(t *testing.T) {
	t.Parallel()
	files, root := open(t)
	memory := inMemory(t)
	again := func() *store.Store {
		s, err := store.Open(t.Context(), "file://"+root, store.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	shared := func() *store.Store { return store.On(store.Bucket(memory)) }
	for name, c := range map[string]struct {
		first           *store.Store
		another         func() *store.Store
		writers, writes int
	}{"files": {files, again, 4, 10}, "memory": {memory, shared, 6, 60}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const readers, messages = 3, 400
			dir, _ := written(t, c.first, header(), samples(messages))
			var mu sync.Mutex
			added := map[int]int64{} // the earliest time that was surely added, by index
			var all, writing sync.WaitGroup
			stop := make(chan struct{})
			for k := range c.writers {
				s, random := c.another(), rand.New(rand.NewPCG(uint64(k), 1))
				writing.Add(1)
				all.Go(func() {
					defer writing.Done()
					for range c.writes {
						var names message.Cancellations
						for range 1 + random.IntN(4) {
							index, at := random.IntN(messages), 1+random.Int64N(1000)
							names = append(names, message.Cancellation{Index: index, At: at, Reason: fmt.Sprintf("%d at %d", index, at)})
						}
						if err := s.AddCanceled(t.Context(), dir, names); err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						for _, x := range names {
							if before, ok := added[x.Index]; !ok || x.At < before {
								added[x.Index] = x.At
							}
						}
						mu.Unlock()
					}
				})
			}
			check := func(s *store.Store) error {
				mu.Lock()
				least := map[int]int64{}
				for index, at := range added {
					least[index] = at
				}
				mu.Unlock()
				got, err := s.Canceled(t.Context(), dir)
				if err != nil {
					return err
				}
				seen := map[int]int64{}
				for i, x := range got {
					if _, twice := seen[x.Index]; twice || i > 0 && x.At < got[i-1].At || x.Reason != fmt.Sprintf("%d at %d", x.Index, x.At) {
						return fmt.Errorf("%+v at %d", x, i)
					}
					seen[x.Index] = x.At
				}
				for index, at := range least {
					if got, ok := seen[index]; !ok || got > at {
						return fmt.Errorf("message %d was canceled at %d: read %d, %t", index, at, got, ok)
					}
				}
				return nil
			}
			for range readers {
				s := c.another()
				all.Go(func() {
					for {
						if err := check(s); err != nil {
							t.Error(err)
							return
						}
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
			writing.Wait()
			close(stop)
			all.Wait()
			require.NoError(t, check(c.another()))
			last := c.another()
			got, err := last.Canceled(t.Context(), dir)
			require.NoError(t, err)
			require.Len(t, got, len(added))
			for _, x := range got {
				require.Equal(t, added[x.Index], x.At, "the earliest wins")
			}
			require.NoError(t, last.AddCanceled(t.Context(), dir, got[:1]))
			require.LessOrEqual(t, len(canceledObjects(t, last, dir)), store.MaxCanceled+1)
		})
	}
}

// A writer that ends at any of its requests has added its messages or not, and takes
// none of the others away.
func TestNoCanceledMessageIsLostWhereAWriterEnds(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{errFault, errLate} {
		for n := 1; ; n++ {
			inner := inMemory(t)
			dir, _ := written(t, inner, header(), samples(100))
			for i := range store.MaxCanceled + 1 {
				require.NoError(t, inner.AddCanceled(t.Context(), dir, message.Cancellations{{Index: i, At: int64(i)}}))
			}
			s, f := onFaulty(t, inner)
			f.reset(func(k int, _, _ string) error {
				switch {
				case k == n:
					return fault
				case k > n: // the process has ended
					return errFault
				}
				return nil
			})
			err := s.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 50, At: 50}})
			last := f.count() < n
			f.reset(nil)
			fresh, _ := onFaulty(t, inner)
			got, read := fresh.Canceled(t.Context(), dir)
			require.NoError(t, read)
			if err == nil || len(got) > store.MaxCanceled+1 {
				require.Len(t, got, store.MaxCanceled+2, "at %d", n)
				require.Equal(t, 50, got[len(got)-1].Index)
			} else {
				require.Len(t, got, store.MaxCanceled+1, "at %d", n)
			}
			require.NoError(t, fresh.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 50, At: 50}}))
			got, read = fresh.Canceled(t.Context(), dir)
			require.NoError(t, read)
			require.Len(t, got, store.MaxCanceled+2)
			if last {
				require.NoError(t, err)
				require.Greater(t, n, store.MaxCanceled)
				break
			}
		}
	}
}

// A reader whose list is old finds what was merged since.
func TestAReaderFollowsAMerge(t *testing.T) {
	t.Parallel()
	inner := inMemory(t)
	dir, _ := written(t, inner, header(), samples(100))
	for i := range store.MaxCanceled + 1 {
		require.NoError(t, inner.AddCanceled(t.Context(), dir, message.Cancellations{{Index: i, At: int64(i)}}))
	}
	s, f := onFaulty(t, inner)
	var once sync.Once
	f.reset(func(_ int, what, _ string) error {
		if what == "get" { // it has listed
			once.Do(func() {
				require.NoError(t, inner.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 50, At: 50}}))
			})
		}
		return nil
	})
	got, err := s.Canceled(t.Context(), dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(got), store.MaxCanceled+1)
	require.Len(t, canceledObjects(t, inner, dir), 1)
}

// A list comes in pages, and what was merged while it was read is on a later one. The
// first page has an object that is not merged, since it is damaged, so that a reader
// has no other reason to list again.
func TestAListOfManyPagesPassesOverNoMerge(t *testing.T) {
	t.Parallel()
	for range 5 { // the names of merged objects are random
		inner := inMemory(t)
		dir, _ := written(t, inner, header(), samples(100))
		put := func(name string, data []byte) {
			require.NoError(t, store.Bucket(inner).WriteAll(t.Context(), dir+"/canceled/"+name, data, nil))
		}
		put("00000000-e000000000000000", []byte("{"))
		for i := range store.MaxCanceled {
			data, err := json.Marshal(message.Cancellations{{Index: i, At: int64(i)}})
			require.NoError(t, err)
			put(fmt.Sprintf("00000000-f0000000000000%02d", i), data)
		}
		s, f := onFaulty(t, inner)
		f.page = 1
		pages := 0
		f.reset(func(_ int, what, _ string) error {
			if what == "list" {
				if pages++; pages == 2 {
					require.NoError(t, inner.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 50, At: 50}}))
				}
			}
			return nil
		})
		got, err := s.Canceled(t.Context(), dir)
		require.ErrorIs(t, err, store.ErrDamaged)
		require.Len(t, got, store.MaxCanceled+1)
	}
}

// An object that is damaged says nothing, and takes nothing with it.
func TestADamagedObjectOfCanceledMessagesFailsAlone(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	dir, _ := written(t, s, header(), samples(100))
	require.NoError(t, s.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 1, At: 1}}))
	broken := canceledObjects(t, s, dir)[0]
	require.NoError(t, store.Bucket(s).WriteAll(t.Context(), broken, []byte("{"), nil))
	for i := range 2 * store.MaxCanceled {
		require.NoError(t, s.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 2 + i, At: 2}}))
	}
	got, err := s.Canceled(t.Context(), dir)
	require.ErrorIs(t, err, store.ErrDamaged)
	require.Len(t, got, 2*store.MaxCanceled)
	require.Contains(t, canceledObjects(t, s, dir), broken)
	require.LessOrEqual(t, len(canceledObjects(t, s, dir)), store.MaxCanceled+1)
}

func TestCanceledMessagesCannotBeReadFromAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inner := inMemory(t)
	dir, _ := written(t, inner, header(), samples(10))
	require.NoError(t, inner.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 1, At: 1}}))
	for _, refused := range []string{"head", "list", "get"} {
		s, f := onFaulty(t, inner)
		f.reset(func(_ int, what, _ string) error {
			if what == refused {
				return errFault
			}
			return nil
		})
		_, err := s.Canceled(t.Context(), dir)
		require.ErrorContains(t, err, errFault.Error())
		require.False(t, store.Lost(err) || errors.Is(err, store.ErrNotFound))
	}
}
