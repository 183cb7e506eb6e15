"""Where rewards come from: programs, language models, videos and preferences."""
