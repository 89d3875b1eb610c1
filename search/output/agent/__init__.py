"""What an outcome and the terminal say of an agent: who proposed, what it cost, what models cost."""
