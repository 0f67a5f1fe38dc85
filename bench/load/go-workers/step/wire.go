package main

import (
	"fmt"
	"log"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// Ops and their results without the protobuf library's objects: what the client uses of the two cores the server lacks.
// The bytes are those that the library makes of the same ops; all other frames are its own.

// Field numbers of worker_service.proto and change.proto.
const (
	sessionFrame       = 1
	workerFrameOps     = 5
	serverFrameResults = 4
	opsOp              = 1
	opOpID             = 1
	opLease            = 2
	opChanges          = 3
	resultsResult      = 1
	resultLeaseID      = 2
	resultRefused      = 4
)

// encoded is a message of either side, as bytes.
type encoded struct{ bytes []byte }

// codec hands messages through as they are.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.(*encoded).bytes)}, nil
}

// Unmarshal copies: what was read before is done with by then.
func (codec) Unmarshal(data mem.BufferSlice, message any) error {
	into := message.(*encoded)
	if length := data.Len(); cap(into.bytes) < length {
		into.bytes = make([]byte, length, 2*length)
	} else {
		into.bytes = into.bytes[:length]
	}
	data.CopyTo(into.bytes)
	return nil
}

func encode(message proto.Message) []byte {
	bytes, err := proto.Marshal(message)
	if err != nil {
		log.Fatal(err)
	}
	return bytes
}

func fieldOf(message proto.Message, number protowire.Number) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), encode(message))
}

// appendOp adds an op to those of a frame. Lease and change are fields already.
func appendOp(ops []byte, opID uint64, lease, change []byte) []byte {
	length := 1 + protowire.SizeVarint(opID) + len(lease) + len(change)
	ops = protowire.AppendTag(ops, opsOp, protowire.BytesType)
	ops = protowire.AppendVarint(ops, uint64(length))
	ops = protowire.AppendTag(ops, opOpID, protowire.VarintType)
	ops = protowire.AppendVarint(ops, opID)
	ops = append(ops, lease...)
	return append(ops, change...)
}

// opsRequest is a message with one frame of these ops; it may be given to the transport, which keeps it.
func opsRequest(ops []byte) []byte {
	frame := 1 + protowire.SizeBytes(len(ops))
	request := make([]byte, 0, 1+protowire.SizeBytes(frame))
	request = protowire.AppendTag(request, sessionFrame, protowire.BytesType)
	request = protowire.AppendVarint(request, uint64(frame))
	request = protowire.AppendTag(request, workerFrameOps, protowire.BytesType)
	return protowire.AppendBytes(request, ops)
}

// resultsOf is what a frame of results holds, false when the message is another frame.
func resultsOf(response []byte) ([]byte, bool) {
	frame := onlyField(response, sessionFrame)
	if frame == nil {
		return nil, false
	}
	results := onlyField(frame, serverFrameResults)
	return results, results != nil
}

// onlyField is the field that a message consists of, nil when it is another.
func onlyField(message []byte, number protowire.Number) []byte {
	found, kind, n := protowire.ConsumeTag(message)
	if n < 0 || found != number || kind != protowire.BytesType {
		return nil
	}
	value, m := protowire.ConsumeBytes(message[n:])
	if m < 0 || n+m != len(message) {
		return nil
	}
	return value
}

// eachResult calls with the lease of each result; a refusal is an error, which the client cannot go on behind.
func eachResult(results []byte, applied func(leaseID []byte)) error {
	return eachField(results, func(number protowire.Number, result []byte) error {
		if number != resultsResult {
			return fmt.Errorf("field %d among results", number)
		}
		var leaseID []byte
		err := eachField(result, func(number protowire.Number, value []byte) error {
			switch number {
			case resultLeaseID:
				leaseID = value
			case resultRefused:
				refusal := &pb.OpRefusal{}
				if err := proto.Unmarshal(value, refusal); err != nil {
					return err
				}
				return fmt.Errorf("refused: %v", refusal)
			}
			return nil
		})
		if err == nil {
			applied(leaseID)
		}
		return err
	})
}

// eachField calls with each field that has bytes.
func eachField(message []byte, found func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return protowire.ParseError(n)
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := found(number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
