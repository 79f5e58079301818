package dialect

import "volley/internal/message"

func decodeIMKIT(body []byte, o Options) (*message.Batch, message.Problems) { return nil, nil }
