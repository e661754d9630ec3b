"""Parts of the model of the next behaviour: what is asked, what is known when it is asked, and what answers."""
