//go:build !unix

package hybrid

import "time"

// processorTime is not known here.
func processorTime() time.Duration { return 0 }
