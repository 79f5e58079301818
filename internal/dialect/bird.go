package dialect

import "volley/internal/message"

func decodeBird(body []byte, o Options) (*message.Batch, message.Problems) { return nil, nil }
