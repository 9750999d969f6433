def save(request): ...


remove = save
