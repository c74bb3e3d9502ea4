! Particles that attract each other, in derived types with allocatable parts; one thread writes in a region.
module bodies
  implicit none
  type body
    real(8) :: x(3), v(3), m
  end type
  type cluster
    type(body), allocatable :: b(:)
    integer(8), allocatable :: count(:)
  end type
  real(8) :: energy
contains
  subroutine step(c, dt)
    type(cluster), intent(inout) :: c
    real(8), intent(in) :: dt
    real(8) :: a(3), d(3)
    integer :: i, j
    !$omp parallel do private(a, d, j) schedule(guided)
    do i = 1, size(c%b)
      a = 0
      do j = 1, size(c%b)
        if (i == j) cycle
        d = c%b(j)%x - c%b(i)%x
        a = a + c%b(j)%m * d / sqrt(sum(d * d) + 1d-2) ** 3
      end do
      c%b(i)%v = c%b(i)%v + dt * a
    end do
    !$omp parallel do
    do i = 1, size(c%b)
      c%b(i)%x = c%b(i)%x + dt * c%b(i)%v
      c%count(i) = c%count(i) + i
    end do
  end subroutine
end module

program particles
  use bodies
  implicit none
  type(cluster) :: c
  integer :: i, k
  allocate(c%b(300), c%count(300))
  !$omp parallel do
  do i = 1, 300
    c%b(i) = body([sin(1d0 * i), cos(2d0 * i), sin(3d0 * i)], [0d0, 0d0, 0d0], 1d0 / 300)
    c%count(i) = 0
  end do
  do k = 1, 5
    call step(c, 1d-2)
  end do
  energy = 0
  !$omp parallel do reduction(+:energy)
  do i = 1, 300
    energy = energy + 0.5d0 * c%b(i)%m * dot_product(c%b(i)%v, c%b(i)%v)
  end do
  !$omp parallel
  !$omp single
  write(*, '(a,es14.7)') 'energy ', energy
  write(*, *) 'counted', sum(c%count)
  !$omp end single
  !$omp end parallel
end program
