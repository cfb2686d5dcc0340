"""What carries out a plan: steps side by side, a journal from which a restore goes on that was cut short, a report."""
