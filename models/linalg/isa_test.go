package linalg

import "testing"

func eachISA(t *testing.T, f func(t *testing.T)) { t.Run("generic", f) }
