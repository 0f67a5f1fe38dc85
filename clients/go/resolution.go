package everstep

import pb "github.com/everstep/everstep/clients/go/everstepv1"

// Resolution says what became of a step whose effect is uncertain: RepeatStep, CompleteStep or FailStep.
type Resolution struct {
	wire func(Codec) (*pb.Resolution, error)
}

// RepeatStep runs the step again: that is safe.
func RepeatStep() *Resolution {
	return &Resolution{wire: func(Codec) (*pb.Resolution, error) {
		return &pb.Resolution{Verdict: &pb.Resolution_Repeat{Repeat: &pb.RepeatStep{}}}, nil
	}}
}

// CompleteStep says that the effect happened, with this output.
func CompleteStep(output any) *Resolution {
	return &Resolution{wire: func(codec Codec) (*pb.Resolution, error) {
		payload, err := encodePayload(codec, output)
		if err != nil {
			return nil, err
		}
		if payload == nil {
			payload = &pb.Payload{}
		}
		return &pb.Resolution{Verdict: &pb.Resolution_Complete{Complete: payload}}, nil
	}}
}

// FailStep says that the step failed for good.
func FailStep(reason error) *Resolution {
	return &Resolution{wire: func(Codec) (*pb.Resolution, error) {
		return &pb.Resolution{Verdict: &pb.Resolution_Fail{Fail: newFailure(reason)}}, nil
	}}
}
