"""What is found once and raised as an incident at once, and what staff are advised to do about it."""

OVERSOLD, UNBALANCED, PAYMENT_REPORT = "oversold", "unbalanced", "payment report"

ADVICE = {
    OVERSOLD: "Look at the event and what led to it, then free seats or find more. The next event about these seats "
    "ends the incident once they are enough.",
    UNBALANCED: "Look at the event, and at the entries of its account in the journal. Have the journal verified, and "
    "rebuilt if its rows differ. Resolve the incident once the money is where it belongs.",
    PAYMENT_REPORT: "Ask the provider which report is right: the one that came first counts here. Record or give back "
    "what follows, then resolve the incident.",
}
