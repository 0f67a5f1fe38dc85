package everstep

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// newID returns a UUIDv7: unique, and in order of time, which keeps the server's index of run ids dense.
func newID() string {
	var id [16]byte
	rand.Read(id[:])
	var instant [8]byte
	binary.BigEndian.PutUint64(instant[:], uint64(time.Now().UnixMilli()))
	copy(id[:6], instant[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	text := hex.EncodeToString(id[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
