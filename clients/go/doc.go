// Package everstep writes durable workflows in Go, runs them in workers, and starts and steers their runs.
//
// A workflow is an ordinary function. Each of its steps is recorded by the server before the next one runs, so a crash of
// the worker, the server or the machine loses nothing that was acknowledged and repeats no finished step:
//
//	var order = everstep.NewWorkflow("order", func(ctx everstep.Context, input Order) (Receipt, error) {
//		charge, err := everstep.Step(ctx, "charge", func(ctx context.Context) (Charge, error) {
//			return payments.Charge(ctx, input.Amount, everstep.AttemptOf(ctx).IdempotencyKey)
//		})
//		if err != nil {
//			return Receipt{}, err
//		}
//		if err := everstep.Sleep(ctx, "cool-down", 24*time.Hour); err != nil {
//			return Receipt{}, err
//		}
//		return everstep.Step(ctx, "receipt", func(context.Context) (Receipt, error) { return receiptFor(charge), nil })
//	})
//
// # Workflows
//
// When another worker takes a run over, its function runs again from the top: recorded results are handed over, and the
// functions of finished steps are not called. So everything that has an effect, takes time or depends on chance or the
// clock belongs into Step, and what stands between the steps must be the same every time. Goroutines, channels and
// select are not among the tools of a workflow; Go, Parallel, StepAsync and First are, and they have the same order at
// every replay.
//
// A step is found by its key. A key that is used again becomes "key#2" in call order; a repeated key that two branches
// use at the same time is an *AmbiguousStepKeyError, and a key that is met as something else than the history says ends
// the run with a *NonDeterminismError.
//
// A run that only waits, for a Sleep, a Signal or a long back-off, is suspended: its goroutines are unwound (deferred
// functions run, as with runtime.Goexit) and it occupies no worker until something wakes it.
//
// # Errors
//
// Durable calls return errors as values. A step whose attempts are exhausted is a *StepFailedError with the stored
// failure and its causes; find it with errors.As, and a stored type with HasFailureType. A cancel is a *CancelledError,
// which is also context.Canceled to errors.Is; after it, steps may still be called to clean up. A step function chooses
// what happens next by the error that it returns: any error is tried again by the step's RetryOptions, a
// *NonRetryableError is not, a *RetryAfterError no earlier than it says. Every error of the SDK has a stable Reason.
//
// # Workers and clients
//
// A Worker holds one stream to the server, over which leases are pushed to it. It reconnects for ever; handlers live
// through a dropped stream, and end by their context when a lease is lost. A Client starts, watches and steers runs.
// Both find the server at EVERSTEP_ADDRESS unless they are told otherwise.
//
// The generated messages of the wire, which Watch and History return, are in the package everstepv1.
package everstep
