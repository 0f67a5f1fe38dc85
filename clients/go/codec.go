package everstep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	pb "github.com/everstep/everstep/clients/go/everstepv1"
)

// EncodedPayload is a user value as it travels and is stored: JSON text or bytes, and a label that says how to read it.
// One of JSON and Bytes is set.
type EncodedPayload struct {
	JSON  string
	Bytes []byte
	// Encoding is for example "json/zstd"; empty means plain.
	Encoding string
}

// Codec turns values into payloads and back: the place for encryption, compression or another format. "No value" (a
// nil interface) never reaches it. Its methods are called from many goroutines at once.
type Codec interface {
	Encode(value any) (EncodedPayload, error)
	// Decode stores the value in what into points to.
	Decode(payload EncodedPayload, into any) error
}

// JSONCodec is the default: JSON for everything but []byte, which travels as bytes.
type JSONCodec struct{}

// Encode implements Codec.
func (JSONCodec) Encode(value any) (EncodedPayload, error) {
	if raw, ok := value.([]byte); ok {
		if raw == nil {
			raw = []byte{}
		}
		return EncodedPayload{Bytes: raw}, nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // other languages do not, and payloads are no web pages
	if err := encoder.Encode(value); err != nil {
		return EncodedPayload{}, err
	}
	return EncodedPayload{JSON: strings.TrimSuffix(text.String(), "\n")}, nil
}

// Decode implements Codec.
func (JSONCodec) Decode(payload EncodedPayload, into any) error {
	if payload.Encoding != "" {
		return fmt.Errorf("the payload is encoded as %q; configure a codec that reads it", payload.Encoding)
	}
	if payload.Bytes == nil {
		return json.Unmarshal([]byte(payload.JSON), into)
	}
	switch target := into.(type) {
	case *[]byte:
		*target = payload.Bytes
	case *any:
		*target = payload.Bytes
	default:
		return fmt.Errorf("the payload is bytes and does not fit into %T", into)
	}
	return nil
}

func encodePayload(codec Codec, value any) (*pb.Payload, error) {
	if value == nil {
		return nil, nil
	}
	encoded, err := codec.Encode(value)
	if err != nil {
		return nil, &PayloadCodecError{message: "the value cannot be encoded", cause: err}
	}
	if encoded.Bytes != nil {
		return &pb.Payload{Data: &pb.Payload_Bytes{Bytes: encoded.Bytes}, Encoding: encoded.Encoding}, nil
	}
	return &pb.Payload{Data: &pb.Payload_Json{Json: encoded.JSON}, Encoding: encoded.Encoding}, nil
}

// decodePayload leaves `into` alone when there is no value.
func decodePayload(codec Codec, payload *pb.Payload, into any) error {
	encoded := EncodedPayload{Encoding: payload.GetEncoding()}
	switch data := payload.GetData().(type) {
	case *pb.Payload_Json:
		encoded.JSON = data.Json
	case *pb.Payload_Bytes:
		encoded.Bytes = data.Bytes
		if encoded.Bytes == nil {
			encoded.Bytes = []byte{}
		}
	default:
		return nil
	}
	if err := codec.Decode(encoded, into); err != nil {
		return &PayloadCodecError{message: "the payload cannot be decoded", cause: err}
	}
	return nil
}

// payloadBytes counts as the limits do: bytes of the value.
func payloadBytes(payload *pb.Payload) int {
	return len(payload.GetJson()) + len(payload.GetBytes())
}

// encodeWithin encodes and checks the size; `what` names the value in the error.
func encodeWithin(codec Codec, value any, what string, bytesMax int) (*pb.Payload, error) {
	payload, err := encodePayload(codec, value)
	if err != nil {
		return nil, err
	}
	if bytes := payloadBytes(payload); bytes > bytesMax {
		return nil, &PayloadTooLargeError{message: fmt.Sprintf("%s has %d bytes, the limit is %d", what, bytes, bytesMax)}
	}
	return payload, nil
}
