package everstep

import "testing"

func TestTheNamespaceOfTheEnvironmentIsTheDefault(t *testing.T) {
	t.Setenv("EVERSTEP_NAMESPACE", "staging")
	withPeer(t, func(t *testing.T, p *peer) {
		p.start(WorkerOptions{}, NewWorkflow("five", five))
		if namespace := p.sent()[0].GetHello().GetNamespace(); namespace != "staging" {
			t.Errorf("namespace %q", namespace)
		}
	})
}
