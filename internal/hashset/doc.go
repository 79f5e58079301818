// Package hashset keeps millions of 64-bit hashes in a few bytes each, to tell
// which of them came before. The store finds messages that are alike with it, and
// intake finds recipients that come twice; neither of the two imports the other.
package hashset
