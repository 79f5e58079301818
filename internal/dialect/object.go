package dialect

// object is a JSON object with its keys in the caller's order.
type object struct {
	path   string
	fields []field
	// at holds the place of each key once there are many.
	at map[string]int
}

type field struct {
	key string
	node
	read bool
}

// take returns the value of a key and marks the key as read. Null counts as
// absent.
func (o *object) take(key string) (node, bool) {
	n, ok := o.get(key)
	return n, ok && !n.isNull()
}

// get is take, but null counts as a value.
func (o *object) get(key string) (node, bool) {
	i, ok := o.find(key)
	if !ok {
		return node{}, false
	}
	o.fields[i].read = true
	return o.fields[i].node, true
}

// manyKeys is from where on an object is searched by a map.
const manyKeys = 16

func (o *object) find(key string) (int, bool) {
	if o.at != nil {
		i, ok := o.at[key]
		return i, ok
	}
	for i := range o.fields {
		if o.fields[i].key == key {
			return i, true
		}
	}
	return 0, false
}

// add appends a field and reports whether its key was there before; then the
// first one stays.
func (o *object) add(f field) (twice bool) {
	if _, twice = o.find(f.key); twice {
		return true
	}
	o.fields = append(o.fields, f)
	if o.at != nil {
		o.at[f.key] = len(o.fields) - 1
	} else if len(o.fields) == manyKeys {
		o.at = make(map[string]int, 2*manyKeys)
		for i := range o.fields {
			o.at[o.fields[i].key] = i
		}
	}
	return false
}
