program d
  use omp_lib
  implicit none
  integer, parameter :: n = 200
  real(8), allocatable :: a(:,:), b(:,:), c(:,:)
  real(8) :: s, w(8)
  integer :: i, j, k, hits
  character(len=40) :: line
  type particle
    real(8) :: x(3), v(3)
  end type
  type(particle), allocatable :: p(:)
  allocate(a(n,n), b(n,n), c(n,n), p(1000))
  !$omp parallel do collapse(2)
  do j = 1, n
    do i = 1, n
      a(i,j) = i + j; b(i,j) = i - j; c(i,j) = 0
    end do
  end do
  !$omp parallel do private(k, i)
  do j = 1, n
    do k = 1, n
      do i = 1, n
        c(i,j) = c(i,j) + a(i,k) * b(k,j)
      end do
    end do
  end do
  s = 0
  !$omp parallel workshare
  s = sum(c)
  !$omp end parallel workshare
  print *, 'sum', s
  hits = 0
  !$omp parallel do private(line) reduction(+:hits) schedule(dynamic)
  do i = 1, 20
    write(line, '(a,i0,a,f8.3)') 'line ', i, ' ', i * 0.5d0
    if (index(line, '5') > 0) hits = hits + len_trim(line)
    !$omp critical
    if (i == 7) write(*, '(a)') trim(line)
    !$omp end critical
  end do
  print *, 'hits', hits
  !$omp parallel
  block
    real(8), allocatable :: t(:)
    integer :: me
    me = omp_get_thread_num()
    allocate(t(100 + me)); t = me
    t = [t, t]
    w(me + 1) = sum(t) / size(t)
    if (size(matmul(a(1:10,1:10), b(1:10,1:10))) /= 100) w(me+1) = -1
  end block
  !$omp end parallel
  print *, w(1:4)
  !$omp parallel do simd
  do i = 1, 1000
    p(i)%x = [1d0, 2d0, 3d0] * i; p(i)%v = sqrt(p(i)%x) ** 1.5
  end do
  print *, sum(p%v(2)), maxval(a) ** 3
  !$omp parallel
  !$omp single
  do i = 1, 3
    !$omp task firstprivate(i)
    w(i) = i * 10
    !$omp end task
  end do
  !$omp end single
  !$omp end parallel
  print *, w(1:3)
end program
