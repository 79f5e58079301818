// Package doctor looks at everything around Volley and says what is wrong with it and
// what to do. It sends no message.
package doctor
