"""What every topic needs: errors for users, progress, the sizes of models. It imports nothing else of the library."""
