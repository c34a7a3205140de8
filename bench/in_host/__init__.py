"""What runs inside the KVM test host: each module measures one thing and returns samples."""
