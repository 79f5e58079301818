package dialect

import "volley/internal/message"

func decodeVolley(body []byte, o Options) (*message.Batch, message.Problems) { return nil, nil }
