package everstep

import (
	"strings"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// The names of the wire without their prefixes; a number for a value that this version does not know.

func reasonName(reason pb.ErrorReason) string {
	return strings.TrimPrefix(reason.String(), "ERROR_REASON_")
}

func leaseEndName(reason pb.LeaseEndReason) string {
	return strings.TrimPrefix(reason.String(), "LEASE_END_REASON_")
}

func goAwayName(reason pb.GoAwayReason) string {
	return strings.TrimPrefix(reason.String(), "GO_AWAY_REASON_")
}
